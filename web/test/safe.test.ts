import { describe, expect, it } from "vitest";
import { imageAddress, linkAddress, pieces, randomId } from "../src/shared/safe.ts";

describe("pieces", () => {
  it("finds web addresses and leaves the text as it was", () => {
    const text = "See https://example.org/a?b=1. Or (http://example.com)!";
    expect(
      pieces(text)
        .map((piece) => piece.text)
        .join(""),
    ).toBe(text);
    expect(pieces(text).flatMap((piece) => piece.href ?? [])).toEqual([
      "https://example.org/a?b=1",
      "http://example.com/",
    ]);
  });

  it("makes nothing else a link", () => {
    const text = "javascript:alert(1) data:text/html,x ftp://host <a href='x'>y</a> https://";
    expect(pieces(text)).toEqual([{ text }]);
  });
});

describe("addresses", () => {
  it.each(["javascript:alert(1)", " jAvAsCrIpT:alert(1)", "data:text/html,<script>", "file:///etc/passwd", "//host/x"])(
    "refuses %s",
    (address) => {
      expect(linkAddress(address)).toBeNull();
      expect(imageAddress(address)).toBeNull();
    },
  );

  it("takes pictures from the web and within the address, but no documents", () => {
    expect(imageAddress("https://example.org/a.png")).toBe("https://example.org/a.png");
    expect(imageAddress("data:image/png;base64,AAAA")).toBe("data:image/png;base64,AAAA");
    expect(imageAddress("data:image/svg+xml,<svg onload='alert(1)'/>")).toBeNull();
  });
});

it("makes random ids in the shape of a UUID", () => {
  expect(randomId()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(randomId()).not.toBe(randomId());
});
