import { assert } from '../../src/shared/assert.ts'
import { labelName } from '../../src/shared/crd/common.ts'
import type { Rule, RulesByPlace } from '../../src/shared/crd/rules.ts'
import { apiGroup, apiVersion } from '../../src/shared/names.ts'
import type { Column, Kind } from './kinds.ts'
import { type Schema, structuralSchema } from './schema.ts'

/** A CustomResourceDefinition as the API server takes it. */
export function definitionOf(kind: Kind) {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${kind.plural}.${apiGroup}` },
    spec: {
      group: apiGroup,
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.kind.toLowerCase(),
        shortNames: [kind.shortName],
        categories: ['atelier'],
      },
      scope: kind.scope,
      versions: [versionOf(kind)],
    },
  }
}

function versionOf(kind: Kind) {
  return {
    name: apiVersion,
    served: true,
    storage: true,
    subresources: { status: {}, ...(kind.scale === undefined ? {} : { scale: kind.scale }) },
    additionalPrinterColumns: kind.columns.map(printerColumn),
    selectableFields: kind.selectable.map((jsonPath) => ({ jsonPath })),
    schema: { openAPIV3Schema: rootSchema(kind) },
  }
}

function printerColumn({ name, type, jsonPath, priority }: Column) {
  return { name, type, jsonPath, ...(priority === undefined ? {} : { priority }) }
}

/** The whole object. Names are labels of other objects, so they obey the rules of labels. */
function rootSchema(kind: Kind): Schema {
  const root: Schema = {
    type: 'object',
    description: kind.description,
    required: ['spec'],
    properties: {
      metadata: { type: 'object', properties: { name: structuralSchema(labelName) } },
      spec: structuralSchema(kind.spec),
      status: structuralSchema(kind.status),
    },
  }
  for (const [place, listType] of Object.entries(kind.lists)) markList(at(root, place), listType)
  addRules(root, kind.rules)
  return root
}

function markList(schema: Schema, listType: Kind['lists'][string]): void {
  assert(schema.type === 'array', 'list types are for lists')
  schema['x-kubernetes-list-type'] = listType === 'set' ? 'set' : 'map'
  if (listType !== 'set') schema['x-kubernetes-list-map-keys'] = [listType.key]
}

function addRules(root: Schema, rules: RulesByPlace): void {
  for (const [place, byName] of Object.entries(rules)) {
    const validations = Object.values(byName).map(validation)
    if (validations.length > 0) at(root, place)['x-kubernetes-validations'] = validations
  }
}

/** Rules are written over several lines for readers; the API server gets one. */
function validation({ rule, message, fieldPath }: Rule) {
  const oneLine = rule.replaceAll(/\s+/g, ' ')
  return { rule: oneLine, message, ...(fieldPath === undefined ? {} : { fieldPath }) }
}

/** The schema at a place such as `spec.inputs[]`; `''` is the root. */
export function at(root: Schema, place: string): Schema {
  const steps = place === '' ? [] : place.replaceAll('[]', '.[]').split('.')
  return steps.reduce((schema, step) => {
    const next = step === '[]' ? schema.items : schema.properties?.[step]
    assert(next, `the schema has no ${place}`)
    return next
  }, root)
}
