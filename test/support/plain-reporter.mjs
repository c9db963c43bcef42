import { writeFileSync } from 'node:fs';

/** Ends the run with one plain line, `123 passed, 0 failed`; also written to TEST_SUMMARY_FILE where that is set. */
export default class PlainReporter {
  onRunComplete(_contexts, results) {
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const line = `${results.numPassedTests} passed, ${failed} failed\n`;

    process.stdout.write(line);
    if (process.env.TEST_SUMMARY_FILE) writeFileSync(process.env.TEST_SUMMARY_FILE, line);
  }
}
