"""IAM, STS, organizations, Roles Anywhere, Identity Center: who may be what."""

from __future__ import annotations

from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.iam_entities import backend, role_named
from breakglass_aws.sandbox.tables.table import Table


def _role(name: str, call: Call) -> str:
    found = role_named(call.account, name)
    return found.arn if found is not None else f"arn:aws:iam::{call.account}:role/{name}"


def _user(name: str, call: Call) -> str:
    found = backend(call.account).users.get(name)
    return found.arn if found is not None else f"arn:aws:iam::{call.account}:user/{name}"


def _group(name: str, call: Call) -> str:
    found = backend(call.account).groups.get(name)
    return found.arn if found is not None else f"arn:aws:iam::{call.account}:group/{name}"


IAM = Table(
    "iam",
    {
        "role{Path=/}{RoleName}": "CreateRole",
        "role/{RoleName:role}": (
            "AttachRolePolicy DeleteRole DeleteRolePermissionsBoundary DeleteRolePolicy"
            " DetachRolePolicy GetRole"
            " GetRolePolicy ListAttachedRolePolicies ListRolePolicies ListRoleTags"
            " ListInstanceProfilesForRole"
            " PutRolePermissionsBoundary PutRolePolicy TagRole UntagRole UpdateAssumeRolePolicy UpdateRole"
            " UpdateRoleDescription DeleteServiceLinkedRole"
        ),
        "role/aws-service-role/{AWSServiceName}/*": "CreateServiceLinkedRole",
        "user{Path=/}{UserName}": "CreateUser",
        "user/{UserName=!caller:user}": (
            "AttachUserPolicy ChangePassword CreateAccessKey CreateLoginProfile"
            " CreateServiceSpecificCredential DeactivateMFADevice DeleteAccessKey DeleteLoginProfile"
            " DeleteServiceSpecificCredential DeleteSSHPublicKey DeleteSigningCertificate DeleteUser"
            " DeleteUserPermissionsBoundary DeleteUserPolicy DetachUserPolicy EnableMFADevice GetLoginProfile"
            " GetUser GetUserPolicy ListAccessKeys ListAttachedUserPolicies ListGroupsForUser ListMFADevices"
            " ListSSHPublicKeys ListServiceSpecificCredentials ListSigningCertificates"
            " ListUserPolicies ListUserTags"
            " PutUserPermissionsBoundary PutUserPolicy ResetServiceSpecificCredential TagUser UntagUser"
            " UpdateAccessKey UpdateLoginProfile UpdateServiceSpecificCredential UpdateSSHPublicKey"
            " UpdateSigningCertificate UpdateUser UploadSSHPublicKey UploadSigningCertificate"
        ),
        "user/{UserName=*:user}": "GetAccessKeyLastUsed",
        "group{Path=/}{GroupName}": "CreateGroup",
        "group/{GroupName:group}": (
            "AddUserToGroup AttachGroupPolicy DeleteGroup DeleteGroupPolicy DetachGroupPolicy"
            " GetGroup GetGroupPolicy"
            " ListAttachedGroupPolicies ListGroupPolicies PutGroupPolicy RemoveUserFromGroup UpdateGroup"
        ),
        "policy{Path=/}{PolicyName}": "CreatePolicy",
        "policy/{PolicyArn}": (
            "CreatePolicyVersion DeletePolicy DeletePolicyVersion GetPolicy GetPolicyVersion"
            " ListEntitiesForPolicy"
            " ListPolicyTags ListPolicyVersions SetDefaultPolicyVersion TagPolicy UntagPolicy"
        ),
        "instance-profile/{InstanceProfileName}": (
            "AddRoleToInstanceProfile CreateInstanceProfile DeleteInstanceProfile GetInstanceProfile"
            " ListInstanceProfileTags RemoveRoleFromInstanceProfile TagInstanceProfile UntagInstanceProfile"
        ),
        "oidc-provider/{OpenIDConnectProviderArn}": (
            "AddClientIDToOpenIDConnectProvider DeleteOpenIDConnectProvider GetOpenIDConnectProvider"
            " ListOpenIDConnectProviderTags RemoveClientIDFromOpenIDConnectProvider TagOpenIDConnectProvider"
            " UntagOpenIDConnectProvider UpdateOpenIDConnectProviderThumbprint"
        ),
        "saml-provider/{SAMLProviderArn}": "GetSAMLProvider UpdateSAMLProvider DeleteSAMLProvider",
        "{PolicySourceArn}": "SimulatePrincipalPolicy GetContextKeysForPrincipalPolicy",
        "*": (
            "CreateOpenIDConnectProvider CreateSAMLProvider GenerateCredentialReport"
            " GetAccountAuthorizationDetails"
            " GetAccountPasswordPolicy GetAccountSummary GetContextKeysForCustomPolicy GetCredentialReport"
            " ListAccountAliases ListGroups ListInstanceProfiles ListOpenIDConnectProviders"
            " ListPolicies ListRoles"
            " ListSAMLProviders ListServerCertificates ListUsers ListVirtualMFADevices SimulateCustomPolicy"
            " CreateAccountAlias DeleteAccountAlias UpdateAccountPasswordPolicy DeleteAccountPasswordPolicy"
            " EnableOutboundWebIdentityFederation DisableOutboundWebIdentityFederation"
            " GetOutboundWebIdentityFederationInfo SetSecurityTokenServicePreferences"
            " GetServiceLastAccessedDetails"
            " CreateVirtualMFADevice DeleteVirtualMFADevice"
        ),
        "{Arn}": "GenerateServiceLastAccessedDetails ListPoliciesGrantingServiceAccess",
    },
    partition=":{account}",
    changes={
        "role": _role,
        "group": _group,
        "user": lambda name, call: (
            "*" if name == "*" else _user(call.caller.rpartition("/")[2] if name == "!caller" else name, call)
        ),
    },
)
STS = Table(
    "sts",
    {
        "{RoleArn}": "AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity",
        "{TargetPrincipal}": "AssumeRoot",
        "user/{Name}": "GetFederationToken",
        "*": (
            "DecodeAuthorizationMessage GetAccessKeyInfo GetCallerIdentity GetSessionToken"
            " GetWebIdentityToken"
        ),
    },
    partition=":{account}",
)
ORGANIZATIONS = Table(
    "organizations",
    {
        "policy/*/*/{PolicyId}": (
            "AttachPolicy DetachPolicy UpdatePolicy DeletePolicy DescribePolicy ListTargetsForPolicy"
        ),
        "*/{TargetId}": "AttachPolicy DetachPolicy ListPoliciesForTarget",
        "account/*/{AccountId}": "DescribeAccount CloseAccount MoveAccount RemoveAccountFromOrganization",
        "*/{ParentId}": (
            "ListAccountsForParent ListChildren ListOrganizationalUnitsForParent CreateOrganizationalUnit"
        ),
        "*/{ChildId}": "ListParents",
        "ou/*/{OrganizationalUnitId}": (
            "DescribeOrganizationalUnit UpdateOrganizationalUnit DeleteOrganizationalUnit"
        ),
        "handshake/*/*/{HandshakeId}": "AcceptHandshake DescribeHandshake DeclineHandshake",
        "root/*/{RootId}": "EnablePolicyType DisablePolicyType",
        "*/{ResourceId}": "TagResource UntagResource ListTagsForResource",
        "*": (
            "CreateOrganization InviteAccountToOrganization CreateAccount CreatePolicy DeleteOrganization"
            " DescribeOrganization"
            " ListAccounts ListRoots"
            " ListPolicies DescribeCreateAccountStatus ListCreateAccountStatus DescribeEffectivePolicy"
            " ListDelegatedAdministrators DescribeResourcePolicy LeaveOrganization EnableAWSServiceAccess"
            " DisableAWSServiceAccess ListAWSServiceAccessForOrganization RegisterDelegatedAdministrator"
            " DeregisterDelegatedAdministrator ListDelegatedServicesForAccount"
        ),
    },
    partition=":{account}",
)
ROLES_ANYWHERE = Table(
    "rolesanywhere",
    {
        "profile/{profileId}": "GetProfile DisableProfile EnableProfile UpdateProfile DeleteProfile",
        "trust-anchor/{trustAnchorId}": (
            "GetTrustAnchor DisableTrustAnchor EnableTrustAnchor UpdateTrustAnchor DeleteTrustAnchor"
        ),
        "{trustAnchorArn}": "ImportCrl",
        "crl/{crlId}": "GetCrl DisableCrl EnableCrl UpdateCrl DeleteCrl",
        "{resourceArn}": "TagResource UntagResource ListTagsForResource",
        "subject/{subjectId}": "GetSubject",
        "*": "CreateProfile CreateTrustAnchor ListProfiles ListTrustAnchors ListCrls ListSubjects",
    },
)
SSO_ADMIN = Table(
    "sso",
    {
        "{InstanceArn}": (
            "CreateAccountAssignment DeleteAccountAssignment DeleteInlinePolicyFromPermissionSet"
            " DescribePermissionSet"
            " GetInlinePolicyForPermissionSet ListAccountAssignments ListAccountsForProvisionedPermissionSet"
            " ListPermissionSets ListPermissionSetsProvisionedToAccount ProvisionPermissionSet"
            " PutInlinePolicyToPermissionSet CreatePermissionSet DescribeAccountAssignmentCreationStatus"
            " DescribeAccountAssignmentDeletionStatus DescribePermissionSetProvisioningStatus"
            " ListAccountAssignmentsForPrincipal"
        ),
        "{PermissionSetArn}": (
            "CreateAccountAssignment DeleteAccountAssignment DeleteInlinePolicyFromPermissionSet"
            " DescribePermissionSet"
            " GetInlinePolicyForPermissionSet ListAccountAssignments ProvisionPermissionSet"
            " PutInlinePolicyToPermissionSet ListAccountsForProvisionedPermissionSet"
        ),
        "*": "ListInstances",
    },
    partition=":",
)
IDENTITY_STORE = Table(
    "identitystore",
    {
        "arn:aws:identitystore::{account}:identitystore/{IdentityStoreId}": (
            "DescribeUser ListUsers GetUserId ListGroups DescribeGroup ListGroupMemberships"
            " ListGroupMembershipsForMember IsMemberInGroups GetGroupId"
        ),
    },
)
TABLES = {
    "iam": IAM,
    "sts": STS,
    "organizations": ORGANIZATIONS,
    "rolesanywhere": ROLES_ANYWHERE,
    "sso-admin": SSO_ADMIN,
    "identitystore": IDENTITY_STORE,
}
