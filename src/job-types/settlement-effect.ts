/**
 * What a handler may return in place of its result: work in the record's own database that commits together with the
 * attempt's outcome, or not at all. `Transaction` is the repository's; job types get it typed from `inSettlement`.
 */
export class SettlementEffect<Transaction = unknown> {
  /** @param apply returns the job's result; it may be called again after it was rolled back */
  constructor(readonly apply: (transaction: Transaction) => Promise<unknown>) {}
}
