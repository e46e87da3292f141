import { AppError } from '../../shared/errors.ts'

/** The error of a picture that a person sent: `field` is its parameter name, such as `inputs[0]`. */
export function inputError(field: string, message: string, cause?: unknown): AppError {
  return new AppError('request.invalid', `${field} ${message}`, {
    fields: [{ path: field, message }],
    cause,
  })
}
