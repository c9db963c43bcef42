/** What the queue keeps of finished deliveries for people to look at. The record keeps everything. */
export const RETENTION = {
  removeOnComplete: { count: 1_000 },
  removeOnFail: { count: 1_000 },
  keepLogs: 1_000,
};
