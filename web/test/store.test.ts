import { expect, it } from "vitest";
import { Store } from "../src/chat/store.ts";

class FakeStorage {
  readonly items = new Map<string, string>();
  refuses = false;

  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    if (this.refuses) throw new Error("full");
    this.items.set(key, value);
  }
}

function storage(): FakeStorage & Storage {
  return new FakeStorage() as unknown as FakeStorage & Storage;
}

it("remembers the conversations, and the one that was open last", () => {
  const kept = storage();
  const store = new Store("https://a", kept);
  const first = store.current();
  store.name(first, "hello there");
  const second = store.begin();
  const again = new Store("https://a", kept);
  expect(again.current()).toBe(second);
  expect(again.conversations.map((one) => [one.id, one.title])).toEqual([
    [second, ""],
    [first, "hello there"],
  ]);
  expect(new Store("https://b", kept).current()).not.toBe(second);
});

it("forgets a conversation in which nothing was said", () => {
  const store = new Store("s", storage());
  store.begin();
  const second = store.begin();
  expect(store.conversations.map((one) => one.id)).toEqual([second]);
});

it("keeps a message until it is accepted, also for the page that comes next", () => {
  const kept = storage();
  const store = new Store("s", kept);
  store.keep({ id: "m1", conversation: "c", text: "hello" });
  store.keep({ id: "m1", conversation: "c", text: "hello" });
  expect(new Store("s", kept).unsent("c").map((message) => message.id)).toEqual(["m1"]);
  expect(new Store("s", kept).unsent("other")).toEqual([]);
  store.drop("m1");
  expect(new Store("s", kept).unsent("c")).toEqual([]);
});

it("does not lose what another tab wrote", () => {
  const kept = storage();
  const [one, other] = [new Store("s", kept), new Store("s", kept)];
  one.keep({ id: "m1", conversation: "c", text: "a" });
  other.keep({ id: "m2", conversation: "c", text: "b" });
  one.drop("m1");
  expect(new Store("s", kept).unsent("c").map((message) => message.id)).toEqual(["m2"]);
});

it("works without storage, with one that is full, and with one that holds nonsense", () => {
  const nowhere = new Store("s", null);
  nowhere.keep({ id: "m1", conversation: nowhere.current(), text: "a" });
  expect(nowhere.unsent(nowhere.current())).toHaveLength(1);
  const full = storage();
  full.refuses = true;
  expect(new Store("s", full).current()).not.toBe("");
  const broken = storage();
  broken.items.set("turnstream-chat:s", "{nonsense");
  expect(new Store("s", broken).conversations).toEqual([]);
});
