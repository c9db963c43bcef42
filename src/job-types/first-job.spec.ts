import { readFileSync } from 'node:fs';
import { firstJobCommand } from './first-job.js';
import { JobTypeRegistry } from './job-type-registry.js';
import { SendEmail } from './send-email/send-email.job-type.js';

const types = new JobTypeRegistry([SendEmail]);

describe('firstJobCommand', () => {
  it('is the one in README', () => {
    const readme = readFileSync(`${process.cwd()}/README.md`, 'utf8');

    expect(readme).toContain(`\n${firstJobCommand(types, 'http://127.0.0.1:3000', false)}\n`);
  });

  it('brings the key where one is asked for', () => {
    expect(firstJobCommand(types, 'https://jobs.example.com', true)).toMatch(
      /^curl -i https:\/\/jobs\.example\.com\/jobs -H "Authorization: Bearer \$API_KEY" -H/,
    );
  });
});
