import { type PasswordOwner, passwordFault } from '../../../shared/domain/password-fault.ts'
import { invalidRequest } from '../../../shared/errors.ts'

/** Throws `request.invalid` naming `/password` for one that is easy to guess. */
export function requireHardPassword(password: string, owner: PasswordOwner): void {
  const fault = passwordFault(password, owner)
  if (fault !== null) throw invalidRequest([{ path: '/password', message: fault }])
}
