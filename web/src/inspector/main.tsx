import { render } from "preact";
import { define } from "../chat/element.tsx";
import { Api } from "./api.ts";
import { App } from "./app.tsx";
import "./style.css";

define();
const place = document.getElementById("app");
if (place) render(<App api={new Api(new URL(location.href))} />, place);
