import { constants } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import { reasonOf } from './error-code.js';
import { StandaloneError } from './standalone-error.js';

/** Makes the folder where it is missing. Errors: StandaloneError where nothing can be written there. */
export async function assertWritable(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new StandaloneError(`DATA_DIR: ${folder} is not writable: ${reasonOf(error)}`);
  }
}
