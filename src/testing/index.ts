/** For tests of job types and of the modules around them: `import … from 'job-queue-platform/testing'`. */
export { InMemoryPlatform, type InMemoryPlatformOptions } from './in-memory-platform.js';
export { runJob, type JobRun, type RunJobOptions } from './run-job.js';
