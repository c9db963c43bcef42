import type { AppConfig } from '../config/app-config.js';

/** What a person needs next, printed last. */
export function welcome(address: string, { http, mail, dataDir, queue }: AppConfig): string {
  const key = http.apiKeys.length > 0 ? ` -H "Authorization: Bearer $API_KEY"` : '';
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
  curl -i ${address}/jobs${key} -H 'Content-Type: application/json' \\
    -d '{"type":"send_email","data":{"to":"john@example.com","subject":"Hello","body":"Welcome!"}}'

`;
}
