import { z } from 'zod'

/** RFC 1123 label, the common form of Kubernetes names: at most 63 characters. */
export const labelName = z
  .string()
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)

/** RFC 1123 subdomain, the name of a ConfigMap: at most 253 characters. */
export const subdomainName = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/)

/** `a/b/c.d` below some folder: no empty segment and none that begins with a dot, so no `..`. */
export const relativePath = z
  .string()
  .max(253)
  .regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/)

/** Integer micro-credits: 1 credit = 1,000,000. Bounded so that sums stay exact in a double. */
export const microCredits = z.int().min(0).max(1_000_000_000_000)

export const sha256 = z
  .string()
  .length(64)
  .regex(/^[0-9a-f]*$/)

/** Kubernetes resource quantity such as `500m` or `2Gi`. */
export const quantity = z
  .string()
  .max(32)
  .regex(/^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$/)

/** RFC 3339 in UTC. The bound leaves room for any fraction of a second. */
export const time = z.iso.datetime().max(40)

export const observedGeneration = z
  .int()
  .min(0)
  .describe('metadata.generation that the status speaks of.')

export const condition = z.object({
  type: z
    .string()
    .max(316)
    .regex(/^[A-Za-z]([A-Za-z0-9]*)$/)
    .describe('Name of the condition.'),
  status: z.enum(['True', 'False', 'Unknown']),
  observedGeneration: observedGeneration.optional(),
  lastTransitionTime: time.describe('When status last changed.'),
  reason: z
    .string()
    .max(64)
    .regex(/^[A-Za-z]([A-Za-z0-9]*)$/)
    .describe('One word for programs: why status is what it is.'),
  message: z.string().max(4096).describe('A sentence for people.'),
})
export type Condition = z.infer<typeof condition>

export const conditions = z
  .array(condition)
  .max(16)
  .describe('What is known about the object, by type.')

/** The parts of Kubernetes object metadata that our code reads. */
export type Metadata = {
  readonly name: string
  readonly namespace?: string
  readonly uid: string
  readonly resourceVersion: string
  readonly generation: number
  readonly creationTimestamp: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

/** One custom resource as the API server returns it. */
export type Resource<Spec, Status> = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Metadata
  readonly spec: Spec
  readonly status?: Status
}
