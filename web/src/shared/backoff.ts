/** Waiting times between attempts: doubling up to a limit, spread so that clients do not come back all at once. */
export class Backoff {
  private attempts = 0;

  constructor(
    private readonly firstMs = 500,
    private readonly limitMs = 15_000,
    private readonly random: () => number = Math.random,
  ) {}

  /** How long to wait before the next attempt. */
  nextMs(): number {
    const fullMs = Math.min(this.limitMs, this.firstMs * 2 ** this.attempts);
    this.attempts += 1;
    return fullMs * (0.5 + this.random() / 2);
  }

  reset(): void {
    this.attempts = 0;
  }
}
