package aws

import (
	"errors"
	"net"
	"strings"
)

// IsServiceAbsent tells whether a call failed since AWS does not offer the service in that Region, so that nobody has
// anything of it there: the name of AWS's own endpoint does not exist, as in batch.mx-central-1.amazonaws.com. Another
// name, such as that of a proxy or of an endpoint that somebody configured, says nothing about AWS. Whoever relies on this
// has reached EC2 in the same Region, by the same resolver, before.
//
// The service is as in a signature, which is what endpoints begin with:
// https://docs.aws.amazon.com/general/latest/gr/rande.html#regional-endpoints
func IsServiceAbsent(err error, service, region string) bool {
	var lookup *net.DNSError
	return errors.As(err, &lookup) && lookup.IsNotFound && strings.HasPrefix(lookup.Name, service+"."+region+".")
}
