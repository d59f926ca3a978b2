/** What the browser keeps of one's work: queries and variables, never a password. */

interface Kept {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
  clear(): void;
  readonly length: number;
}

const SECRET = /password|secret/i;
const SPOKEN = /(\b\w*(?:password|secret)\w*["']?\s*:\s*")(?:[^"\\]|\\.)*"?/gi;

/** A store that takes the passwords out of whatever is put into it, and of what an earlier version has put there. */
export function keeping(store: Kept): Kept {
  return {
    getItem: (key) => {
      const kept = store.getItem(key);
      return kept === null ? null : withoutSecrets(kept);
    },
    setItem: (key, value) => store.setItem(key, withoutSecrets(value)),
    removeItem: (key) => store.removeItem(key),
    clear: () => store.clear(),
    get length() {
      return store.length;
    },
  };
}

/** The same text with every password in it emptied, however deep it stands: JSON within JSON, or a document. */
export function withoutSecrets(text: string): string {
  const found = parsed(text);
  return found === undefined ? text.replace(SPOKEN, '$1"') : JSON.stringify(emptied(found));
}

function parsed(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // a document, or variables that are still being written
  }
}

function emptied(value: unknown): unknown {
  if (typeof value === "string") {
    // Variables are kept as people wrote them, unless something has to go.
    return SECRET.test(value) ? withoutSecrets(value) : value;
  }
  if (Array.isArray(value)) return value.map(emptied);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, SECRET.test(key) && typeof each === "string" ? "" : emptied(each)]),
  );
}
