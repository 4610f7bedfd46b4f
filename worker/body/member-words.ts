/**
 * Classifies a member by the words in its name: places and protection, the answer, or a label that
 * changes nothing. Only the list of labels lets a member pass, so a word that is missing from a
 * list is refused.
 */
import {
  DATA_CLASSES,
  EVIDENCE_CLASSES,
  JURISDICTIONS,
  NODE_TRUSTS,
  Policy,
  VERIFICATION_LEVELS,
} from '#shared/law/policy.ts'
import { groupNames, isRegion } from '#shared/law/region.ts'
import { nearestName, plainName, wordsOf } from './near-names.ts'
import { ResidencyFields } from './residency.ts'

/** Names of policy members. In a request they were meant to narrow the policy. `id` alone is too common to count. */
const POLICY_NAMES = [
  ...Object.keys(ResidencyFields),
  ...Object.keys(Policy.shape).filter((name) => name !== 'id'),
]

/** Policy names inside longer ones: `required_data_class`, `computeRegions`. */
const POLICY_PARTS = POLICY_NAMES.map((name) => plainName(name).replace(/([^s])s$/, '$1'))

const SAY_NOTHING = ['none', 'any', 'special']
/** Values of policy members: `verified`, `attested`, `phi`, `eea`. */
const POLICY_VALUES = new Set(
  [
    ...[DATA_CLASSES, EVIDENCE_CLASSES, JURISDICTIONS, NODE_TRUSTS, VERIFICATION_LEVELS].flat(),
    ...groupNames().map((name) => name.toLowerCase()),
  ].filter((word) => !SAY_NOTHING.includes(word)),
)

function beginsWith(...alternatives: readonly string[]): RegExp {
  return new RegExp(`^(?:${alternatives.join('|')})`)
}

/** Prefixes of words about where a job may run, who may process it, or what may be kept of it. */
const NARROWING = beginsWith(
  'residen|polic|region|countr|nation|continent|jurisdict|sovereign|territor|geo|locat|local$|place|zone|datacent|data$',
  'provider|rout(?:e|ing)|fallback|evidence|trust|secur|cluster|host|server|hardware|device|node|hub|edge|onprem',
  'allow|deny|denied|exclud|restrict|only|must|requir|forbid|avoid|prefer|never|no$|without|opt$|consent',
  'gdpr|zdr|hipaa|ccpa|sox|pci|pii|complian|privacy|confident|encrypt|retention|retain|delet|eras|littoral',
)

/** Prefixes of words about what to write, or how. */
const STEERING = beginsWith(
  // shape
  'schema|gramm|regex|pattern|json|xml|yaml|guid|struct|format|constrain|ebnf|gbnf|abnf|bnf|peg$|lark|choice|enum',
  'pydantic|zod|class|labels|value|oneof|one$|possible',
  // other inputs
  'tool|function|plugin|search|retriev|web|file|image|audio|video|voice|modal|media|docu|context|citation|rag$',
  'mcp|connector|attach|vector|knowledge|memor|source|corpus|collection|dataset|index|assistant|agent|thread',
  // choice of tokens
  'temp|top$|min$|max$|num$|typical|mirostat|dry|xtc|epsilon|eta$|tfs|nucle|sampl|penal|rep$|repe|freq|presen|beam',
  'length|early|best|divers|contrast|cfg|bias|suppress|bad|ban$|banned|force|stop|eos|bos|ignore|skip|seed|random|determin',
  'greedy|logit|logprob|prob|token|tok|vocab|special|detok|trunc|spec|draft|predict|dynatemp|quadratic|smooth|cutoff|watermark',
  'n$|k$|p$|alternat|candidate|completion',
  // preceding text
  'prompt|prefix|suffix|prefill|preamble|echo|contin|generat|system|instruct|template|chat|message|role|history|conversation',
  'few|shot|example|demonstrat|title|raw|indent|preset',
  // style
  'think|reason|effort|budget|verbos|style|persona|character|lang|translat|moderat|safe|filter|guard|mask|anonym|redact|sensitiv',
  // model and precision
  'model|engine|lora|adapter|expert|quant|precision|dtype|bit|normal|pool|chunk|dim|embed|task|input|output|query|passage|type',
  'matryoshka|sparse|dense|lower|upper|binary|threshold|confiden|iou|nms|rotat|crop|resiz|scal|sequence|checkpoint|revision|variant',
  // containers of the above
  'extra|option|param|arg|kwarg|config|setting|override|transform|decod|mode|stream|return|include|feature',
)

/** Prefixes of words that only identify a caller, account, trace or queue. */
const LABEL = beginsWith(
  // who
  'user|client|customer|custom|account|org$|orgs$|organi|tenant|team|project$|projects$|workspace|department|owner$|author$',
  'caller|consumer|member$|subscriber|sdk$|app$|apps$|appid|appname|application|product$|company|my$|email$|platform|channel$|referr',
  // trace and log
  'trace|tracing|span|parent$|correlat|request|session|telemetr|metric|meter|log$|logs$|logger|logging|monitor|debug$',
  'langfuse|langsmith|helicone|litellm|opik$|datadog|sentry|event|timestamp|created|sent$|run$|invocation|id$|ids$|uuid',
  // notes
  'tag$|tags$|note$|notes$|comment|remark|memo$|ticket|reference$|metadata|meta$|experiment|campaign|cohort|field$|name$|build$',
  'version$|release$|env$|environment|stage$|unknown|unused|some$',
  // account, cache and queue
  'bill|invoice|cost$|costs$|key$|cach|ttl$|alive$|priorit|queue|retry|retries|attempt|timeout',
  // filler words
  'foo|bar$|baz|qux|quux|corge|grault|garply|waldo|fred$|plugh|xyzzy|thud|frob|bogus|dummy|junk|nonsense|whatever|thing',
  'something|anything|stuff|test$|abc$|xyz$|unrecogni|unexpected|nonexist|exist$|made$|arbitrary',
)

/** Keywords that identify a JSON Schema. */
const SCHEMA_WORDS = [
  'properties',
  '$schema',
  'anyOf',
  'oneOf',
  'allOf',
  'patternProperties',
  '$defs',
]

/** Tells whether the name reads as a restriction on places, processors or retention. */
export function speaksOfPolicy(name: string): boolean {
  const plain = plainName(name)
  return (
    POLICY_PARTS.some((part) => plain.includes(part)) ||
    nearestName(name, POLICY_NAMES) !== undefined ||
    wordsOf(name).some((word) => NARROWING.test(word) || POLICY_VALUES.has(word))
  )
}

export function speaksOfAnswer(name: string): boolean {
  return wordsOf(name).some((word) => STEERING.test(word))
}

/** Tells whether the name is a label that changes nothing. Names with non-ASCII letters are not. */
export function isLabel(name: string): boolean {
  if (/[^\x20-\x7e]/.test(name) || /^x[-_]/i.test(name)) return true
  return wordsOf(name).some((word) => LABEL.test(word))
}

/** Tells whether the value holds nothing but places, like a narrowing: `"DE"`, `["EU", "CH"]`. */
export function isPlaces(value: unknown): boolean {
  const all: readonly unknown[] = Array.isArray(value) ? value : [value]
  return all.length > 0 && all.every((each) => typeof each === 'string' && isRegion(each))
}

export function isJsonSchema(value: object): boolean {
  return SCHEMA_WORDS.some((word) => Object.hasOwn(value, word))
}
