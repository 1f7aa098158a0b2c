import { render } from "preact";
import { define } from "../chat/element.tsx";
import { Api } from "./api.ts";
import { App } from "./app.tsx";
import { Session, takeToken } from "./session.ts";
import "./style.css";

define();
const place = document.getElementById("app");
if (place) {
  const session = new Session();
  const page = takeToken(session, new URL(location.href));
  history.replaceState(null, "", page);
  render(<App api={new Api(page, session)} />, place);
}
