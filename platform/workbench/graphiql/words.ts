/** What this page says, in the language of whoever looks. */

export const zh = navigator.language.toLowerCase().startsWith("zh");

export function t(inChinese: string, inEnglish: string): string {
  return zh ? inChinese : inEnglish;
}
