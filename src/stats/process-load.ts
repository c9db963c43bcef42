import { Injectable } from '@nestjs/common';
import { LoadShedding } from '../http/load-shedding.js';
import { LoopLag } from '../http/loop-lag.js';
import { PendingSubmits } from '../jobs/overload/pending-submits.js';
import { QueueAdmission } from '../jobs/overload/queue-admission.js';

/** What an API process holds at one moment, and what it has refused since it started. */
export interface Load {
  /** ms that the event loop was late, the last time it was looked at. */
  loopLag: number;
  /** Jobs that wait for their commit. */
  pendingRows: number;
  /** Bytes of request bodies under way. */
  bodyBytes: number;
  /** Submits, by why. */
  refused: {
    queueFull: number;
    pending: number;
    bodies: number;
    loopLag: number;
  };
}

@Injectable()
export class ProcessLoad {
  constructor(
    private readonly loop: LoopLag,
    private readonly shedding: LoadShedding,
    private readonly pending: PendingSubmits,
    private readonly admission: QueueAdmission,
  ) {}

  now(): Load {
    const { late, large } = this.shedding.refused;
    return {
      loopLag: this.loop.lag,
      pendingRows: this.pending.rows,
      bodyBytes: this.shedding.bodyBytes,
      refused: {
        queueFull: this.admission.refused,
        pending: this.pending.refused,
        bodies: large,
        loopLag: late,
      },
    };
  }
}
