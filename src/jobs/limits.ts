/** Bounds on what a job may carry, in UTF-16 code units of its JSON text. Past one of them nothing is cut: it is refused. */
export const MAX_DATA_LENGTH = 1_048_576;
export const MAX_RESULT_LENGTH = 1_048_576;
export const MAX_ERROR_MESSAGE_LENGTH = 10_000;
export const MAX_LOG_LINE_LENGTH = 4_000;
export const MAX_LOG_LINES_PER_ATTEMPT = 1_000;
export const MAX_PROGRESS_STEP_LENGTH = 200;
export const MAX_BULK = 1_000;

/** Tags of one job, and of one search. */
export const MAX_TAGS = 20;
