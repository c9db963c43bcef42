import { TestEnvironment } from 'jest-environment-node';

/**
 * Node's environment, which also ends every process that a test file started and left behind. It is done here, not
 * in an `afterAll`: Jest runs a setup file's `afterAll` before the test file's own, which may still need its servers.
 */
export default class ServerEnvironment extends TestEnvironment {
  constructor(config, context) {
    super(config, context);
    this.timeoutMs = config.projectConfig.testEnvironmentOptions.timeoutMs;
  }

  handleTestEvent({ name }, state) {
    if (name === 'setup') state.testTimeout = this.timeoutMs;
  }

  async teardown() {
    const newestFirst = [...(this.global.cleanups ?? [])].reverse();
    for (const cleanup of newestFirst) await cleanup();

    await super.teardown();
  }
}
