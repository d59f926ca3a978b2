/** Who is signed in, and the way to sign in as somebody else and come back here. */

import { useState } from "react";
import { t } from "./words";

export interface Person {
  login: string;
  name: string;
}

/** Who is signed in; null where nobody has to sign in. */
export async function signedIn(): Promise<Person | null> {
  const answer = await fetch("/me");
  return answer.ok ? await answer.json() : null;
}

export function Who({ person }: { person: Person }) {
  const [problem, setProblem] = useState(false);
  const leave = async () => {
    const answer = await fetch("/logout", { method: "POST", headers: { accept: "application/json" } });
    if (answer.ok) window.location.assign("/login?next=/graphiql");
    else setProblem(true);
  };
  return (
    <header className="who">
      <span>
        {person.name} ({person.login})
      </span>
      <a href="/">{t("起始页", "Start")}</a>
      <button type="button" onClick={() => void leave()}>
        {t("换人登录", "Sign in as another")}
      </button>
      {problem && <span role="alert">{t("未能退出登录。", "You are still signed in.")}</span>}
    </header>
  );
}
