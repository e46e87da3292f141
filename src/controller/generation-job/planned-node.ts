import type { Pod } from '../../platform/kube/resources.ts'

type Affinity = NonNullable<NonNullable<Pod['spec']>['affinity']>

const nameField = 'metadata.name'

/**
 * Asks the scheduler for the Node that was chosen: by itself it would spread pods, and fill the one
 * that is kept for a large job. A wish only: a pod that insisted would wait for ever for a Node
 * that goes before it is bound. It weighs 200 points against 200 at most of the default scorers of
 * free processors and memory and of their balance, and 100 where one Node alone has the image.
 */
export function preferNode(name: string): Affinity {
  const preference = { matchFields: [{ key: nameField, operator: 'In', values: [name] }] }
  return {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, preference }],
    },
  }
}

export function plannedNameOf(spec: Pod['spec']): string | undefined {
  const { preferredDuringSchedulingIgnoredDuringExecution: [wish] = [] } =
    spec?.affinity?.nodeAffinity ?? {}
  return wish?.preference.matchFields?.find(({ key }) => key === nameField)?.values?.[0]
}
