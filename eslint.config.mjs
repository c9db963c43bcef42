import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const stores = {
  regex:
    '^((\\.{1,2}/)*\\.\\./(queue|persistence)/|(bullmq|typeorm|ioredis|pg|@nestjs/bullmq|@nestjs/typeorm)(/|$))',
  message:
    'The domain reaches the queue and the record through its ports; only a *.module.ts joins them to an adapter.',
};
const otherConcerns = {
  regex: '^(\\.{1,2}/)*\\.\\./(health|auth|schedules|dashboard)/',
  message: 'Other concerns call the use cases of jobs/; jobs/ knows none of them.',
};
const environment = {
  name: 'node:process',
  importNames: ['env'],
  message: 'The environment is read in src/config/ alone.',
};

/** Both `import … from` and `import(…)`; a later block for the same file replaces the earlier one. */
const forbid = (...patterns) => ({
  'no-restricted-imports': 'off',
  '@typescript-eslint/no-restricted-imports': [
    'error',
    { paths: [environment, { ...environment, name: 'process' }], patterns },
  ],
  'no-restricted-syntax': [
    'error',
    ...patterns.map(({ regex, message }) => ({
      selector: `ImportExpression[source.value=/${regex.replaceAll('/', '\\u002F')}/]`,
      message,
    })),
  ],
});

export default defineConfig(
  globalIgnores(['dist/', 'data/', 'coverage/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },

  js.configs.recommended,
  tseslint.configs.recommendedTypeChecked,
  { languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } } },
  {
    files: ['**/*.ts'],
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
      // A method of an async port may have nothing to wait for; `async` still turns its throws into rejections.
      '@typescript-eslint/require-await': 'off',
    },
  },

  {
    files: ['src/**/*.ts'],
    ignores: ['src/config/**'],
    rules: {
      ...forbid(),
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: environment.message },
      ],
    },
  },
  {
    files: ['src/job-types/**/*.ts'],
    ignores: ['**/*.module.ts', '**/*.spec.ts'],
    rules: forbid(stores),
  },
  {
    files: ['src/jobs/**/*.ts'],
    ignores: ['**/*.module.ts', '**/*.spec.ts'],
    rules: forbid(stores, otherConcerns),
  },
  {
    files: ['src/schedules/**/*.ts'],
    ignores: ['**/*.module.ts', '**/*.spec.ts'],
    rules: forbid(stores),
  },

  {
    // What comes out of a response, a query or a matcher such as `expect.any()` has no type.
    files: ['test/**/*.ts', '**/*.spec.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['**/*.{js,mjs,cjs}'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: {
      globals: Object.fromEntries(
        ['Buffer', 'URL', 'clearTimeout', 'console', 'fetch', 'performance', 'process', 'setTimeout'].map(
          (name) => [name, 'readonly'],
        ),
      ),
    },
  },
  prettier,
);
