/** A request that got no answer. */
export class OutboundFailure extends Error {
  /** @param final whether the same request, made again, would fail again */
  constructor(
    readonly code: 'DESTINATION_REFUSED' | 'TOO_MANY_REDIRECTS' | 'HTTP_TIMEOUT' | 'CONNECTION_FAILED',
    message: string,
    readonly final: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'OutboundFailure';
  }
}
