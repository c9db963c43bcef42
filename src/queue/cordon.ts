/** How long (ms) a server that did not answer is left alone before it is asked again. */
const REST = 250;

/**
 * Keeps calls from servers that did not answer, until they do: whoever goes over many lanes waits once an outage for a
 * server that hangs, and not once a lane and a turn.
 */
export class Cordon {
  private readonly away = new Map<string, { reason: unknown }>();
  private closed = false;

  /** Why calls to the server would fail; undefined where it may be called. */
  around(server: string): { reason: unknown } | undefined {
    return this.away.get(server);
  }

  /** @param probe asks it again: bounded, and fails as long as the server does not answer */
  put(server: string, reason: unknown, probe: () => Promise<unknown>): void {
    if (this.closed || this.away.has(server)) return;
    this.away.set(server, { reason });
    void this.watch(server, probe);
  }

  /** All of them answer again. */
  lift(): void {
    this.away.clear();
  }

  close(): void {
    this.closed = true;
  }

  private async watch(server: string, probe: () => Promise<unknown>): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, REST).unref());
      if (this.closed || !this.away.has(server)) return;
      const answers = await probe().then(
        () => true,
        () => false,
      );
      if (!answers) continue;
      this.away.delete(server);
      return;
    }
  }
}
