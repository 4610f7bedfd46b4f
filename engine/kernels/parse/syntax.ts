/** The syntax tree of a WGSL module: what analysis and rewriting need, with offsets into the source. */

/** Half-open range of UTF-16 offsets into the source. */
export interface Span {
  readonly start: number
  readonly end: number
}

export type Expression = Span &
  (
    | { readonly kind: 'literal'; readonly text: string }
    /** A name with its template arguments: `vec3<f32>`. */
    | { readonly kind: 'name'; readonly name: string; readonly args: readonly Expression[] }
    | { readonly kind: 'unary'; readonly operator: string; readonly operand: Expression }
    | {
        readonly kind: 'binary'
        readonly operator: string
        readonly left: Expression
        readonly right: Expression
      }
    | { readonly kind: 'index'; readonly base: Expression; readonly index: Expression }
    | { readonly kind: 'member'; readonly base: Expression; readonly member: string }
    | Call
  )

export interface ListEnd {
  readonly closeAt: number
  readonly hasTrailingComma: boolean
}

export interface Call extends Span, ListEnd {
  readonly kind: 'call'
  readonly callee: Expression & { readonly kind: 'name' }
  readonly args: readonly Expression[]
}

export interface Attribute {
  readonly name: string
  readonly args: readonly Expression[]
}

/** `var`, `let`, `const` and `override`, at module scope and in functions. */
export interface Declaration extends Span {
  readonly kind: 'declaration'
  readonly keyword: 'var' | 'let' | 'const' | 'override'
  /** The template list of `var`: address space and access mode. */
  readonly qualifiers: readonly Expression[]
  readonly name: string
  readonly type: Expression | undefined
  readonly value: Expression | undefined
  /** At module scope: `@group`, `@binding`, `@id`. */
  readonly attributes: readonly Attribute[]
}

export interface Block extends Span {
  readonly kind: 'block'
  readonly statements: readonly Statement[]
}

export interface Loop extends Span {
  readonly kind: 'loop'
  readonly line: number
  readonly init: Statement | undefined
  readonly condition: Expression | undefined
  readonly update: Statement | undefined
  /** For `loop`, without its continuing block. */
  readonly body: Block
  readonly continuing: Block | undefined
}

export interface Clause extends Span {
  readonly selectors: readonly Expression[]
  readonly body: Block
}

export type Statement = Span &
  (
    | { readonly kind: 'empty' | 'break' | 'continue' | 'discard' }
    | Block
    | Loop
    | Declaration
    | {
        readonly kind: 'if'
        readonly condition: Expression
        readonly body: Block
        readonly otherwise: Statement | undefined
      }
    | {
        readonly kind: 'switch'
        readonly selector: Expression
        readonly clauses: readonly Clause[]
      }
    | { readonly kind: 'return'; readonly value: Expression | undefined }
    | { readonly kind: 'break-if'; readonly condition: Expression }
    | { readonly kind: 'assert'; readonly condition: Expression }
    | { readonly kind: 'call'; readonly call: Call }
    | {
        readonly kind: 'assign'
        readonly operator: string
        /** Undefined for the phony assignment `_ = value`. */
        readonly target: Expression | undefined
        /** Undefined for `++` and `--`. */
        readonly value: Expression | undefined
      }
  )

export interface Parameter {
  readonly name: string
  readonly nameAt: number
  readonly attributes: readonly Attribute[]
  readonly type: Expression
}

/** Its span begins with its attributes. */
export interface FunctionDeclaration extends Span, ListEnd {
  readonly kind: 'function'
  readonly name: string
  readonly attributes: readonly Attribute[]
  readonly parameters: readonly Parameter[]
  readonly returnType: Expression | undefined
  readonly body: Block
  readonly line: number
}

export interface StructDeclaration extends Span {
  readonly kind: 'struct'
  readonly name: string
  readonly members: readonly Parameter[]
}

export interface AliasDeclaration extends Span {
  readonly kind: 'alias'
  readonly name: string
  readonly type: Expression
}

export interface AssertDeclaration extends Span {
  readonly kind: 'assert'
  readonly condition: Expression
}

export type ModuleDeclaration =
  | Declaration
  | FunctionDeclaration
  | StructDeclaration
  | AliasDeclaration
  | AssertDeclaration

export interface Directive {
  readonly kind: 'enable' | 'requires' | 'diagnostic'
  readonly start: number
  readonly names: readonly string[]
}

export interface KernelModule {
  readonly source: string
  readonly directives: readonly Directive[]
  readonly declarations: readonly ModuleDeclaration[]
  readonly identifiers: ReadonlySet<string>
  /** Statements of every kind, in all functions. */
  readonly statements: number
}
