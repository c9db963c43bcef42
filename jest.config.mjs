/**
 * The sources are ES modules; the tests run them as CommonJS, because @bull-board/nestjs does not load under
 * Jest's experimental ESM mode. Jest also needs the ESM-only packages turned into CommonJS.
 */
const compile = (parser, transform = {}) => [
  '@swc/jest',
  {
    jsc: { parser, target: 'es2022', keepClassNames: true, transform },
    module: { type: 'commonjs' },
    sourceMaps: 'inline',
  },
];

// Names what the processes of one run share, and what is deleted after it.
process.env.TEST_RUN ??= `${process.pid}-${Date.now().toString(36)}`;

const base = {
  rootDir: import.meta.dirname,
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    '^job-queue-platform/(extension|testing)$': '<rootDir>/src/$1',
    // Every file that touches Nest loads rxjs: from its bundle it is one module instead of 226.
    '^rxjs(/operators)?$': '<rootDir>/node_modules/rxjs/dist/bundles/rxjs.umd.min.js',
  },
  transform: {
    '^.+\\.ts$': compile(
      { syntax: 'typescript', decorators: true },
      { legacyDecorator: true, decoratorMetadata: true },
    ),
    '^.+\\.m?js$': compile({ syntax: 'ecmascript' }),
  },
  transformIgnorePatterns: [
    '/node_modules/(?!(?:@nestjs|file-type|strtok3|token-types|uint8array-extras|@tokenizer|@borewit|load-esm)/)',
  ],
};

/** Tests with real servers: each file starts its own, and the environment stops what a file leaves running. */
const withServers = (timeoutMs) => ({
  ...base,
  // Jest reads `testTimeout` for all projects alike, so the environment sets it.
  testEnvironmentOptions: { timeoutMs },
  testEnvironment: '<rootDir>/test/support/environment.mjs',
  globalSetup: '<rootDir>/test/support/redis-binary.ts',
  globalTeardown: '<rootDir>/test/support/delete-clusters.mjs',
});

export default {
  // More than a small machine has cores: each waits for the servers and processes of its own most of the time.
  maxWorkers: 3,
  reporters: [
    'default',
    '<rootDir>/test/support/plain-reporter.mjs',
    // The full form of the fault suite writes the table in docs/reliability.md.
    ...(process.env.FAULTS === 'full' ? ['<rootDir>/test/faults/support/figures-reporter.mjs'] : []),
  ],
  projects: [
    {
      ...base,
      displayName: 'unit',
      testEnvironment: 'node',
      testMatch: ['<rootDir>/{src,bench}/**/*.spec.ts'],
    },
    {
      ...withServers(60_000),
      displayName: 'integration',
      testMatch: ['<rootDir>/test/{contracts,integration}/**/*.spec.ts'],
    },
    {
      ...withServers(120_000),
      displayName: 'e2e',
      testMatch: ['<rootDir>/test/e2e/**/*.spec.ts'],
    },
    {
      // The full form has outages of minutes; `npm test` runs the same files scaled down.
      ...withServers(process.env.FAULTS === 'full' ? 1_800_000 : 180_000),
      displayName: 'faults',
      testMatch: ['<rootDir>/test/faults/**/*.spec.ts'],
      // These take long even scaled down.
      testPathIgnorePatterns: process.env.FAULTS ? [] : ['\\.long\\.spec\\.ts$'],
    },
    {
      ...withServers((Number(process.env.SOAK_MINUTES ?? 30) + 11) * 60_000),
      displayName: 'soak',
      testMatch: ['<rootDir>/test/faults/soak.ts'],
    },
    {
      ...withServers(120_000),
      displayName: 'browser',
      testMatch: ['<rootDir>/test/browser/**/*.spec.ts'],
    },
  ],
};
