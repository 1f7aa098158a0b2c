import { useState } from "preact/hooks";

/** What is asked of whoever the gateway does not let in. `problem`: why not with what was given before. */
export function Login({ problem, onGiven }: { problem: string; onGiven: (credential: string) => void }) {
  const [credential, setCredential] = useState("");
  return (
    <main class="login">
      <form
        class="fields"
        onSubmit={(event) => {
          event.preventDefault();
          if (credential.trim() !== "") onGiven(credential);
        }}
      >
        <h1>Inspector</h1>
        <p>This gateway asks who you are. Give its token, or the JSON Web Token of an admin.</p>
        <label>
          Token
          <input
            type="password"
            autocomplete="off"
            spellcheck={false}
            ref={(input) => input?.focus()}
            value={credential}
            onInput={(event) => setCredential(event.currentTarget.value)}
          />
        </label>
        <p role="status" class="error">
          {problem}
        </p>
        <button type="submit" class="primary">
          Open
        </button>
        <p class="soft">It is kept in this tab alone, until you close it.</p>
      </form>
    </main>
  );
}
