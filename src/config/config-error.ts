/** The environment cannot be used. The message has one line for each variable that is wrong. */
export class ConfigError extends Error {
  /** @param problems by variable: what is wrong with it, ready to be shown */
  constructor(readonly problems: ReadonlyMap<string, string>) {
    super([...problems].map(([name, problem]) => `${name}: ${problem}`).join('\n'));
    this.name = 'ConfigError';
  }
}
