import type { AppConfig } from '../config/app-config.js';

/** What a person needs next, printed last. @param firstJob a command to paste */
export function welcome(
  address: string,
  firstJob: string,
  { http, mail, dataDir, queue }: AppConfig,
): string {
  const ui = http.ui
    ? `
  Start here   ${address}/
  Swagger UI   ${address}/docs
  Bull Board   ${address}/admin/queues`
    : `
  API          ${address}/jobs`;

  return `
The job queue runs on port ${address.slice(address.lastIndexOf(':') + 1)}.
${ui}

  Delivery by ${queue.backend === 'postgres' ? 'PostgreSQL' : 'Redis'}, data in ${dataDir}${mail.directory ? `, mail in ${mail.directory}` : ''}

A first job:
${firstJob.replaceAll(/^/gm, '  ')}

`;
}
