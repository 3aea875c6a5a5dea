package fakeaws

import (
	"encoding/xml"

	"github.com/aws/aws-sdk-go-v2/service/sts"
)

type callerIdentityAnswer struct {
	XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
	ARN       string   `xml:"GetCallerIdentityResult>Arn"`
	UserID    string   `xml:"GetCallerIdentityResult>UserId"`
	Account   string   `xml:"GetCallerIdentityResult>Account"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

func (s *Server) getCallerIdentity(_ string, _ *sts.GetCallerIdentityInput) (any, error) {
	return callerIdentityAnswer{
		ARN:       s.callerARN(),
		UserID:    "AIDAFAKEAWSDOUBLE000",
		Account:   s.options.AccountID,
		RequestID: "fakeaws",
	}, nil
}
