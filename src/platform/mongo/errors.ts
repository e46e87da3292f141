import mongoose, { mongo } from 'mongoose'
import { AppError } from '../../shared/errors.ts'

/** FerretDB answers the second code under concurrency where MongoDB answers the first. */
const duplicateCodes = new Set<unknown>([11_000, 16_908_292])

export function isDuplicateKey(error: unknown): boolean {
  return error instanceof mongo.MongoServerError && duplicateCodes.has(error.code)
}

/** An unordered bulk insert of which nothing but duplicates was refused. */
export function isOnlyDuplicates(error: unknown): boolean {
  if (!(error instanceof mongo.MongoBulkWriteError)) return false
  const faults = [error.writeErrors].flat()
  return faults.length > 0 && faults.every(({ code }) => duplicateCodes.has(code))
}

/**
 * The driver wraps whatever goes wrong with a bulk request; a server would have said a code, or
 * which writes it refused.
 */
function isLostBulk(error: unknown): boolean {
  if (!(error instanceof mongo.MongoBulkWriteError)) return false
  const isSilent = [error.writeErrors].flat().length === 0 && error.code === undefined
  return isSilent && error.result.getWriteConcernError() === undefined
}

/** Classes that the driver throws but does not export. */
const unexported = new Set([
  'MongoWaitQueueTimeoutError',
  'MongoPoolClearedError',
  'MongoPoolClosedError',
])

/** The driver hands on what a socket says that was closed before the write, as it is. */
const socketCodes = new Set(['EPIPE', 'ECONNRESET', 'ERR_STREAM_DESTROYED'])

function isSocketError(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false
  return typeof error.code === 'string' && socketCodes.has(error.code)
}

/** Refused, lost or timed out: the request may or may not have had its effect. */
export function isUnreachable(error: unknown): boolean {
  return (
    error instanceof mongo.MongoNetworkError ||
    error instanceof mongo.MongoServerSelectionError ||
    error instanceof mongoose.Error.MongooseServerSelectionError ||
    error instanceof mongo.MongoNotConnectedError ||
    error instanceof mongo.MongoClientClosedError ||
    error instanceof mongo.MongoServerClosedError ||
    (error instanceof mongo.MongoError && unexported.has(error.name)) ||
    isSocketError(error) ||
    isLostBulk(error)
  )
}

/** Runs a request; a database that does not answer becomes `platform.unavailable`. */
export async function reach<T>(request: () => Promise<T>): Promise<T> {
  try {
    return await request()
  } catch (error) {
    if (!isUnreachable(error)) throw error
    throw new AppError('platform.unavailable', 'the database does not answer', { cause: error })
  }
}
