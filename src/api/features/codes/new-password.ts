import { type PasswordOwner, passwordFault } from '../../../shared/domain/password-fault.ts'
import { AppError } from '../../../shared/errors.ts'

/** Throws `request.invalid` naming `/password` for one that is easy to guess. */
export function requireHardPassword(password: string, owner: PasswordOwner): void {
  const fault = passwordFault(password, owner)
  if (fault === null) return
  const fields = [{ path: '/password', message: fault }]
  throw new AppError('request.invalid', 'not valid: /password', { fields })
}
