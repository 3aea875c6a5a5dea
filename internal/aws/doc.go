// Package aws is the edge to AWS: it loads the configuration, says who we are, and sorts AWS errors into the
// few classes that Larder acts on. Only this package and those below it import the AWS SDK.
//
// An endpoint other than AWS's own is chosen as everywhere with the SDK: by AWS_ENDPOINT_URL, or by
// endpoint_url in the shared configuration file.
package aws
