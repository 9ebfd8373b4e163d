/** Labels and annotations that turnfleet reads or writes. */
export const LABEL_CLUSTER = 'turnfleet.dev/cluster'
export const LABEL_ORDINAL = 'turnfleet.dev/ordinal'
export const LABEL_REVISION = 'turnfleet.dev/revision'
export const LABEL_COMPONENT = 'app.kubernetes.io/component'
export const LABEL_NAME = 'app.kubernetes.io/name'
export const LABEL_MANAGED_BY = 'app.kubernetes.io/managed-by'
/** Value of `LABEL_COMPONENT` on relay pods. */
export const COMPONENT_RELAY = 'relay'
/** On a Node, by its administrator: public addresses, separated by commas. */
export const ANNOTATION_PUBLIC_ADDRESS = 'turnfleet.dev/public-address'
/** On a relay pod, by the operator: a YAML list of `{bind, advertise}`, mounted by the downward API. */
export const ANNOTATION_ADDRESSES = 'turnfleet.dev/addresses'
/** On a relay pod, by the operator: JSON `{sinceMs, reason}` while it drains. */
export const ANNOTATION_DRAIN = 'turnfleet.dev/drain'
/** On a relay pod, by the operator: hash of the newest configuration, so that its kubelet looks at the mount. */
export const ANNOTATION_CONFIG = 'turnfleet.dev/config-hash'
/** On generated objects: hash of the content, compared before a write. */
export const ANNOTATION_HASH = 'turnfleet.dev/hash'

export const FIELD_MANAGER = 'turnfleet'
export const FIELD_MANAGER_STATUS = 'turnfleet-status'
