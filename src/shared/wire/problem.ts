import { z } from 'zod'
import { type ErrorCode, errorTable } from '../errors.ts'

const codes = Object.keys(errorTable)

/** RFC 9457 problem document: the body of every answer from 400 on. */
export const problem = z
  .looseObject({
    type: z.string().meta({ description: 'Address that names the kind of problem' }),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string(),
    code: z.string().meta({ enum: codes, description: 'Stable word for programs' }),
    instance: z.string().meta({ description: 'Id of the request, as in X-Request-Id' }),
    errors: z
      .array(
        z.object({
          path: z.string().meta({ description: 'JSON pointer of the body, or parameter name' }),
          message: z.string(),
        }),
      )
      .optional(),
  })
  .meta({ id: 'Problem' })
export type Problem = z.infer<typeof problem>

const problemTypePrefix = 'https://atelier.dev/problems/'

/** The members that follow from the code alone. */
export function problemOf(code: ErrorCode): Pick<Problem, 'type' | 'title' | 'status' | 'code'> {
  const { status, title } = errorTable[code]
  return { type: `${problemTypePrefix}${code}`, title, status, code }
}
