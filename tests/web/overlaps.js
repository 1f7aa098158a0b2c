// What lies outside the screen or over something else; asked of a page that is to be used.
() => {
    const all = (root) => [...root.querySelectorAll("*")].flatMap((e) => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
    const seen = all(document).filter((e) => e.matches("button, select, input, textarea, h1, h2, nav a, .steps span"));
    const boxes = seen.map((e) => [e, e.getBoundingClientRect()]).filter(([e, b]) => {
        const middle = [b.x + b.width / 2, b.y + b.height / 2];
        if (b.width === 0) return false;
        const found = e.getRootNode().elementFromPoint(...middle);
        return found === e || e.contains(found);
    });
    const name = (e) => e.getAttribute("aria-label") || e.textContent.slice(0, 30) || e.tagName;
    const faults = boxes.filter(([, b]) => b.left < -0.5 || b.right > innerWidth + 0.5).map(([e]) => `outside: ${name(e)}`);
    for (const [i, [one, a]] of boxes.entries()) {
        for (const [other, b] of boxes.slice(i + 1)) {
            const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (width > 1 && height > 1 && !one.contains(other)) faults.push(`overlap: ${name(one)} / ${name(other)}`);
        }
    }
    const wide = all(document).filter((e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === "auto");
    if (document.documentElement.scrollWidth > innerWidth) faults.push("the page is wider than the screen");
    return [...faults, ...wide.map((e) => `scrolls sideways: ${e.className}`)];
}
