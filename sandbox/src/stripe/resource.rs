//! The kinds of objects, and what the server needs to know about each.

use super::table::TABLE;

/// The key of an object among those of its kind. Top-level objects count from 0 in the order of
/// their creation; a child's key is its parent's key and its position there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u64);

const CHILD_BITS: u32 = 6;
/// Keys from here on are outside the ordinary order: the platform's own account.
pub const PLATFORM: Key = Key(1 << 35);
/// Keys from here on belong to test clocks.
pub const CLOCKED: u64 = 1 << 36;
/// The most children of a kind that an object can have.
pub const MAX_CHILDREN: u64 = 1 << CHILD_BITS;

impl Key {
    /// The key of child `position` of the object with this key.
    pub fn child(self, position: u64) -> Self {
        Self(self.0 << CHILD_BITS | position)
    }

    /// The key of the parent, for a child's key.
    pub fn parent(self) -> Self {
        Self(self.0 >> CHILD_BITS)
    }

    /// The position under its parent, for a child's key.
    pub fn position(self) -> u64 {
        self.0 & (MAX_CHILDREN - 1)
    }

    /// Whether this top-level key belongs to a test clock.
    pub fn is_clocked(self) -> bool {
        self.0 >= CLOCKED
    }
}

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Res {
    Customer,
    Charge,
    PaymentIntent,
    BalanceTransaction,
    Invoice,
    Subscription,
    Refund,
    Dispute,
    Review,
    EarlyFraudWarning,
    Payout,
    TopUp,
    SetupIntent,
    SetupAttempt,
    PaymentMethod,
    File,
    FileLink,
    CheckoutSession,
    CheckoutLine,
    ShippingRate,
    CustomerCard,
    BankAccount,
    CustomerBalanceTransaction,
    CustomerTaxId,
    CustomerDiscount,
    ActiveEntitlement,
    TestClock,
    InvoiceLine,
    InvoiceItem,
    InvoicePayment,
    CreditNote,
    CreditNoteLine,
    SubscriptionItem,
    SubscriptionSchedule,
    SubscriptionDiscount,
    UsageRecord,
    Quote,
    Product,
    Price,
    Plan,
    Coupon,
    PromotionCode,
    TaxRate,
    Feature,
    Account,
    Person,
    ExternalCard,
    ExternalBankAccount,
    ApplicationFee,
    FeeRefund,
    Transfer,
    TransferReversal,
    ValueList,
    ValueListItem,
    ApplePayDomain,
    Cardholder,
    IssuingCard,
    Authorization,
    IssuingTransaction,
    IssuingDispute,
    Event,
}

/// How many objects of a kind there are, and when they were created.
#[derive(Clone, Copy)]
pub enum Size {
    /// As many as the sandbox has rows.
    Rows,
    /// A share of the rows, at least some.
    Share {
        /// Rows an object.
        per: u64,
        /// The fewest there are.
        least: u64,
    },
    /// Always that many.
    Fixed(u64),
    /// The platform's connected accounts.
    Accounts,
    /// One for every `step`-th object of another kind, from `offset` on.
    Every {
        /// The other kind.
        of: Res,
        /// Distance.
        step: u64,
        /// The first one.
        offset: u64,
    },
    /// Children of another kind; how many each has is a function of the parent.
    Children {
        /// The parent's kind.
        of: Res,
        /// The number of children of a parent.
        count: fn(&super::world::World, Key) -> u64,
    },
    /// Written by changes, not generated.
    Log,
}

/// What is known about a kind of object.
pub struct Def {
    /// The kind.
    pub res: Res,
    /// Its name: that of the connector's stream, where there is one.
    pub name: &'static str,
    /// Its template, and the value of its `object` field.
    pub object: &'static str,
    /// The template, where it is not named like the object.
    pub shape: Option<&'static str>,
    /// The prefix of its ids.
    pub prefix: &'static str,
    /// A kind whose ids these objects share.
    pub id_as: Option<Res>,
    /// How many there are.
    pub size: Size,
    /// Paths that list it; `{}` stands for the parent's id.
    pub lists: &'static [&'static str],
    /// The query parameter that names the parent.
    pub parent_param: Option<&'static str>,
    /// Whether that parameter, or another one, must be given.
    pub required: Option<&'static str>,
    /// Query parameters that filter its lists.
    pub filters: &'static [&'static str],
    /// The resource in `rak_<resource>_read`.
    pub permission: &'static str,
    /// Event types for creation, change and deletion.
    pub events: [Option<&'static str>; 3],
    /// The event that tells of the parent's change when such a child comes or goes.
    pub parent_event: Option<&'static str>,
    /// Whether a deleted one still answers, as a stub.
    pub stub: bool,
    /// Only there from 2025-03-31.basil on (true) or only before it (false).
    pub basil: Option<bool>,
}

/// Defaults for the rows of the table.
pub const DEF: Def = Def {
    res: Res::Customer,
    name: "",
    object: "",
    shape: None,
    prefix: "",
    id_as: None,
    size: Size::Rows,
    lists: &[],
    parent_param: None,
    required: None,
    filters: &[],
    permission: "",
    events: [None, None, None],
    parent_event: None,
    stub: false,
    basil: None,
};

impl Res {
    /// What is known about the kind.
    pub fn def(self) -> &'static Def {
        &TABLE[self as usize]
    }

    /// All kinds.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|def| def.res)
    }

    /// A kind by its name, or by the path of its list without `/v1/`.
    pub fn by_name(name: &str) -> Option<Self> {
        let by_path = |def: &Def| def.lists.iter().any(|l| l.strip_prefix("/v1/") == Some(name));
        TABLE.iter().find(|def| def.name == name || by_path(def)).map(|def| def.res)
    }

    /// The parent's kind, for children.
    pub fn parent(self) -> Option<Self> {
        match self.def().size {
            Size::Children { of, .. } => Some(of),
            _ => None,
        }
    }

    /// Whether there is a list of all of them, whoever their parents are.
    pub fn listed_globally(self) -> bool {
        let def = self.def();
        let only_by_parent = def.parent_param.is_some() && def.required == def.parent_param;
        !only_by_parent && def.lists.iter().any(|l| !l.contains("{}"))
    }
}

/// The path that lists the children of one parent, of one kind or of several together.
pub fn nested_path(kinds: &[Res], parent: &str) -> String {
    let Some(first) = kinds.first().map(|res| res.def()) else { return String::new() };
    let shared = |path: &&&str| kinds.iter().all(|res| res.def().lists.contains(path));
    if let Some(path) = first.lists.iter().filter(|l| l.contains("{}")).find(shared) {
        return path.replace("{}", parent);
    }
    match (first.lists.first(), first.parent_param) {
        (Some(path), Some(param)) => format!("{path}?{param}={parent}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_kinds() {
        for (i, def) in TABLE.iter().enumerate() {
            assert_eq!(def.res as usize, i, "{}", def.name);
            assert!(!def.name.is_empty() && !def.object.is_empty(), "{:?}", def.res);
        }
        assert_eq!(TABLE.len(), Res::Event as usize + 1);
    }

    #[test]
    fn children_keys() {
        let key = Key(77).child(12);
        assert_eq!((key.parent(), key.position()), (Key(77), 12));
    }

    #[test]
    fn names_and_paths() {
        assert_eq!(Res::by_name("top_ups"), Some(Res::TopUp));
        assert_eq!(Res::by_name("topups"), Some(Res::TopUp));
        assert_eq!(Res::by_name("nothing"), None);
        assert_eq!(
            nested_path(&[Res::SubscriptionItem], "sub_1"),
            "/v1/subscription_items?subscription=sub_1"
        );
        assert_eq!(nested_path(&[Res::InvoiceLine], "in_1"), "/v1/invoices/in_1/lines");
        let sources = [Res::CustomerCard, Res::BankAccount];
        assert_eq!(nested_path(&sources, "cus_1"), "/v1/customers/cus_1/sources");
        assert!(Res::Refund.listed_globally());
        assert!(!Res::SubscriptionItem.listed_globally());
        assert!(!Res::Person.listed_globally());
    }
}
