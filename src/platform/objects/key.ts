import { AppError } from '../../shared/errors.ts'

const keyLengthMax = 1024
/** No leading dot: neither `..` nor hidden files; 200 leaves room for a suffix in a file name. */
const segment = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/

/** `a/b/c.png`: relative, without `..`, empty parts, backslashes or control characters. */
export function isObjectKey(key: string): boolean {
  return key.length <= keyLengthMax && key.split('/').every((part) => segment.test(part))
}

/** Throws AppError `request.invalid`; does not quote the key. */
export function assertObjectKey(key: string): void {
  if (isObjectKey(key)) return
  throw new AppError('request.invalid', 'the object key is not valid', {
    fields: [{ path: 'key', message: 'must be relative parts of letters, digits, ., _ and -' }],
  })
}
