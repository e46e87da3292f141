import { isAppError } from '../../../src/shared/errors.ts'

/** Of reading untrusted bytes; any error but a named one is a fault of ours and goes on. */
export function outcomeOf(read: () => unknown): 'read' | 'refused' {
  try {
    read()
    return 'read'
  } catch (error) {
    if (isAppError(error)) return 'refused'
    throw error
  }
}
