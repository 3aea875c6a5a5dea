package targets_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/test/controlplane"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/targets"
)

// basePolicy is the one that every operator has.
const basePolicy = "larder"

// consentTag is what an owner puts on what a target may write.
const consentTag = "aws:ResourceTag/larder-may-write"

// policy is a document of config/iam.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid, Effect      string
	Action, Resource texts
	Condition        map[string]map[string]texts
}

// texts are one text or several, as IAM has it.
type texts []string

func (t *texts) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte(`"`)) {
		*t = texts{""}
		return json.Unmarshal(data, &(*t)[0])
	}
	return json.Unmarshal(data, (*[]string)(t))
}

func policyFolder(t *testing.T) string {
	t.Helper()
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "config", "iam")
}

// readPolicies returns all documents by their names.
func readPolicies(t *testing.T) map[string]policy {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(policyFolder(t), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]policy{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(bytes.NewReader(content))
		decoder.DisallowUnknownFields()
		var read policy
		if err := decoder.Decode(&read); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = read
	}
	return all
}

// actions are all that a policy allows, sorted.
func (p policy) actions() []string {
	var all []string
	for _, one := range p.Statement {
		all = append(all, one.Action...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (p policy) allows(action string) bool {
	return slices.ContainsFunc(p.actions(), func(pattern string) bool {
		matches, err := path.Match(pattern, action)
		return err == nil && matches
	})
}

// onBehalf are actions that no operator calls: AWS checks that the caller may do them when it is asked for something that
// leads to them.
var onBehalf = map[string]string{
	"ec2:RunInstances": "https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html",
	"ec2:CreateTags":   "https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html",
	"iam:PassRole":     "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html",
}

// needsNoPermission is an action that everybody may call.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
const needsNoPermission = "sts:GetCallerIdentity"

// recorder notes the permissions that the calls of an operator need.
type recorder struct {
	mu    sync.Mutex
	calls map[string]bool
}

func (r *recorder) record(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("RecordPermission", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		// "Auto Scaling" is "autoscaling" in a policy.
		service := strings.ToLower(strings.ReplaceAll(awsmiddleware.GetServiceID(ctx), " ", ""))
		r.mu.Lock()
		r.calls[service+":"+awsmiddleware.GetOperationName(ctx)] = true
		r.mu.Unlock()
		return next.HandleInitialize(ctx, in)
	}), middleware.After)
}

func TestPoliciesAllowExactlyTheCallsMade(t *testing.T) {
	policies := readPolicies(t)
	documents := []string{basePolicy}
	for name, life := range lives() {
		documents = append(documents, name)
		t.Run(name, func(t *testing.T) {
			recorded := &recorder{calls: map[string]bool{}}
			life.options.Configure = func(cfg *larderaws.Config) { cfg.APIOptions = append(cfg.APIOptions, recorded.record) }
			life.tell(targets.New(t, life.options))
			delete(recorded.calls, needsNoPermission)
			base, own := policies[basePolicy], policies[name]
			for _, action := range slices.Sorted(maps.Keys(recorded.calls)) {
				if !base.allows(action) && !own.allows(action) {
					t.Errorf("%s is called, and neither %s.json nor %s.json allows it", action, basePolicy, name)
				}
			}
			for _, action := range own.actions() {
				if !recorded.calls[action] && onBehalf[action] == "" {
					t.Errorf("%s.json allows %s, which is never called", name, action)
				}
			}
		})
	}
	slices.Sort(documents)
	if diff := cmp.Diff(documents, slices.Sorted(maps.Keys(policies))); diff != "" {
		t.Errorf("policies (-the base and one for each target that has one, +config/iam):\n%s", diff)
	}
}

// unlimited are writing actions that may be done to everything.
var unlimited = map[string]string{
	"ecr:BatchImportUpstreamImage": "the repositories of a pull-through cache have what names its rule gives them",
}

func writes(action string) bool {
	_, name, _ := strings.Cut(action, ":")
	return fakeaws.IsMutating(name)
}

func TestPoliciesLimitWhatTheyAllowToWrite(t *testing.T) {
	for name, document := range readPolicies(t) {
		t.Run(name, func(t *testing.T) {
			sids := map[string]bool{}
			for _, one := range document.Statement {
				if one.Effect != "Allow" || one.Sid == "" || sids[one.Sid] {
					t.Errorf("statement %q: effect %s, or without a name of its own", one.Sid, one.Effect)
				}
				sids[one.Sid] = true
				for _, action := range one.Action {
					if !writes(action) || unlimited[action] != "" {
						continue
					}
					if slices.Contains(one.Resource, "*") && len(one.Condition) == 0 {
						t.Errorf("%s: %s is allowed on everything", one.Sid, action)
					}
					if name != basePolicy && onBehalf[action] == "" && !slices.Equal(one.Condition["StringEquals"][consentTag], texts{"true"}) {
						t.Errorf("%s: %s is allowed on what its owner did not tag", one.Sid, action)
					}
				}
			}
		})
	}
}

// authorization is what IAM knows of an action: what it may be limited to.
type authorization struct {
	// resource is how the ARNs begin that it is done to, after "arn:aws:".
	resource []string
	// keys are those conditions on it that the policies may use.
	keys []string
}

// authorizations are of all writing actions of targets. A condition that IAM does not know for an action, or another type of
// resource, would deny it for ever.
// https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
var authorizations = map[string]authorization{
	"autoscaling:StartInstanceRefresh":   {[]string{"autoscaling:*:*:autoScalingGroup:"}, []string{consentTag}},
	"autoscaling:UpdateAutoScalingGroup": {[]string{"autoscaling:*:*:autoScalingGroup:"}, []string{consentTag}},
	"batch:UpdateComputeEnvironment":     {[]string{"batch:*:*:compute-environment/"}, []string{consentTag}},
	"ec2:CreateLaunchTemplateVersion":    {[]string{"ec2:*:*:launch-template/"}, []string{consentTag}},
	"ec2:DeleteLaunchTemplateVersions":   {[]string{"ec2:*:*:launch-template/"}, []string{consentTag}},
	"ec2:ModifyLaunchTemplate":           {[]string{"ec2:*:*:launch-template/"}, []string{consentTag}},
	"ec2:RunInstances": {[]string{
		"ec2:*:*:launch-template/", "ec2:*:*:capacity-reservation/", "ec2:*:*:instance/", "ec2:*:*:key-pair/", "ec2:*:*:network-interface/",
		"ec2:*:*:placement-group/", "ec2:*:*:security-group/", "ec2:*:*:subnet/", "ec2:*:*:volume/", "ec2:*::image/", "ec2:*::snapshot/",
	}, []string{consentTag, "ec2:LaunchTemplate"}},
	"ec2:CreateTags":             {[]string{"ec2:*:*:instance/", "ec2:*:*:network-interface/", "ec2:*:*:volume/"}, []string{"ec2:CreateAction"}},
	"ecs:TagResource":            {[]string{"ecs:*:*:service/"}, []string{consentTag, "aws:TagKeys"}},
	"ecs:UntagResource":          {[]string{"ecs:*:*:service/"}, []string{consentTag, "aws:TagKeys"}},
	"ecs:UpdateService":          {[]string{"ecs:*:*:service/"}, []string{consentTag}},
	"eks:UpdateNodegroupVersion": {[]string{"eks:*:*:nodegroup/"}, []string{consentTag}},
	"iam:PassRole":               {[]string{"iam::*:role/"}, []string{"iam:PassedToService"}},
}

func TestPoliciesLimitByWhatIAMKnows(t *testing.T) {
	for name, document := range readPolicies(t) {
		if name == basePolicy {
			continue
		}
		for _, one := range document.Statement {
			for _, action := range slices.DeleteFunc(slices.Clone(one.Action), func(action string) bool { return !writes(action) }) {
				known := authorizations[action]
				for _, resource := range one.Resource {
					if !slices.ContainsFunc(known.resource, func(begins string) bool { return strings.HasPrefix(resource, "arn:aws:"+begins) }) {
						t.Errorf("%s, %s: %s is not done to %s", name, one.Sid, action, resource)
					}
				}
				for operator, condition := range one.Condition {
					for key := range condition {
						if !slices.Contains(known.keys, key) {
							t.Errorf("%s, %s: %s does not know %s, which %s asks for", name, one.Sid, action, key, operator)
						}
					}
				}
			}
		}
	}
}

// mostCharacters is how long a customer managed policy may be, without white space.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const mostCharacters = 6144

func TestPoliciesFitIntoIAM(t *testing.T) {
	for name := range readPolicies(t) {
		content, err := os.ReadFile(filepath.Join(policyFolder(t), name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(strings.Join(strings.Fields(string(content)), "")); got > mostCharacters {
			t.Errorf("%s.json has %d characters, and IAM takes %d", name, got, mostCharacters)
		}
	}
}
