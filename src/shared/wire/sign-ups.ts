import { z } from 'zod'
import { labelName } from '../crd/common.ts'
import { transport } from './sessions.ts'
import { emailAddress, givenPassword, language, line, mailedCode, newPassword } from './text.ts'

export const personName = line({ max: 128 })

const exampleEmail = 'mina@quality.example'
const examplePassword = 'seven quiet lanterns drift'

export const signUpCodeRequest = z
  .strictObject({ email: emailAddress, language })
  .meta({ examples: [{ email: exampleEmail, language: 'ko' }] })
export type SignUpCodeRequest = z.infer<typeof signUpCodeRequest>

/** Always the same, whoever has the address. */
export const codeSent = z
  .object({
    /** Seconds for which the code in the mail is good. */
    expiresIn: z.int().min(1),
    digits: z.int().min(1),
  })
  .meta({ id: 'CodeSent', examples: [{ expiresIn: 600, digits: 6 }] })
export type CodeSent = z.infer<typeof codeSent>

export const signUpRequest = z
  .strictObject({
    email: emailAddress,
    code: mailedCode,
    password: newPassword,
    name: personName,
    department: labelName.meta({ description: 'Which department you ask to join' }),
    language,
    transport,
  })
  .meta({
    examples: [
      {
        email: exampleEmail,
        code: '042917',
        password: examplePassword,
        name: '김미나',
        department: 'quality',
        language: 'ko',
      },
    ],
  })
export type SignUpRequest = z.infer<typeof signUpRequest>

/** What somebody without an account may know of a department. */
const openDepartment = z
  .object({ name: labelName, displayName: z.string() })
  .meta({ id: 'OpenDepartment' })
export type OpenDepartment = z.infer<typeof openDepartment>

export const openDepartmentPage = z
  .object({ items: z.array(openDepartment), next: z.string().nullable() })
  .meta({ id: 'OpenDepartmentPage' })

export const passwordResetCodeRequest = z
  .strictObject({
    email: emailAddress,
    language: language.default('ko').meta({ description: 'For mail to an address nobody has' }),
  })
  .meta({ examples: [{ email: exampleEmail }] })
export type PasswordResetCodeRequest = z.infer<typeof passwordResetCodeRequest>

export const passwordResetRequest = z
  .strictObject({ email: emailAddress, code: mailedCode, password: newPassword })
  .meta({ examples: [{ email: exampleEmail, code: '042917', password: examplePassword }] })
export type PasswordResetRequest = z.infer<typeof passwordResetRequest>

export const emailChangeCodeRequest = z
  .strictObject({
    email: emailAddress.meta({ description: 'The new address; the code is mailed to it' }),
    password: givenPassword,
  })
  .meta({ examples: [{ email: 'mina.kim@quality.example', password: examplePassword }] })
export type EmailChangeCodeRequest = z.infer<typeof emailChangeCodeRequest>

export const emailChangeRequest = z
  .strictObject({ email: emailAddress, code: mailedCode })
  .meta({ examples: [{ email: 'mina.kim@quality.example', code: '042917' }] })
export type EmailChangeRequest = z.infer<typeof emailChangeRequest>
