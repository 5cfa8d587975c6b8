/// The direction of bytes, as limits count them.
@usableFromInline
package enum Direction: Int {
    case clientToTarget, targetToClient
}
