/// Of bytes, as the limits count them.
package enum Direction: Int {
    case clientToTarget, targetToClient
}
