/// Of bytes, as the limits count them.
@usableFromInline
package enum Direction: Int {
    case clientToTarget, targetToClient
}
