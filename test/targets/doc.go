// Package targets is a world for whole lives of bindings: AWS as test/fakeaws plays it, an API server, one clock for all, and
// the operator's Reconciler, which ends and begins anew at any request. The lives of each kind of target are tests here.
//
//	New ──▶ Renew, Bind ──▶ Settle ──▶ Renew ──▶ Settle ──▶ … ──▶ Unbind ──▶ Settle
//
// EveryCrash tells one such story as often as the operator changes anything in it, and ends the operator each time at
// another change: before it has its effect, and before its answer arrives.
package targets
