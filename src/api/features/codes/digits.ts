import type { RandomBytes } from '../../../shared/domain/job-id.ts'
import { codeLimits } from './limits.ts'

const codeCount = 10 ** codeLimits.digits
/** The largest multiple of all codes that three bytes can say: above it some would be likelier. */
const fairBelow = Math.floor(2 ** 24 / codeCount) * codeCount
/** Each draw is refused with 4.6 %: so many in a row are a broken source. */
const drawsMax = 100

/** Six digits, each of 000000 to 999999 as likely as every other. */
export function drawDigits(randomBytes: RandomBytes): string {
  for (let draw = 0; draw < drawsMax; draw += 1) {
    const number = Buffer.from(randomBytes(3)).readUIntBE(0, 3)
    if (number < fairBelow) return String(number % codeCount).padStart(codeLimits.digits, '0')
  }
  throw new Error('the random source gives no fair numbers')
}
