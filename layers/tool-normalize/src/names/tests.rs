use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn choose_for(tool: &ClientTool, is_taken: impl Fn(&str) -> bool) -> String {
    let natural = natural(tool.namespace(), tool.name());
    let is_free = !is_taken(&natural);
    choose(tool, natural, is_free, is_taken)
}

fn tool(namespace: Option<&str>, name: &str) -> ClientTool {
    ClientTool::new(ToolKind::Function, namespace, name)
}

fn free(namespace: Option<&str>, name: &str) -> String {
    choose_for(&tool(namespace, name), |_| false)
}

#[test]
fn legal_names_stay_natural() {
    let longest = "x".repeat(LONGEST);
    let rows = [
        (None, "read", "read"),
        (None, "a-b_C9", "a-b_C9"),
        (None, &*longest, &*longest),
        (Some("mcp__github"), "create_issue", "mcp__github__create_issue"),
        (Some("mcp__github__"), "create_issue", "mcp__github__create_issue"),
        (Some("functions"), "exec_command", "exec_command"),
        (Some("srv"), "echo", "srv__echo"),
    ];
    for (namespace, name, expected) in rows {
        assert_eq!(free(namespace, name), expected, "{namespace:?} {name}");
    }
}

#[test]
fn other_names_are_readable_with_a_hash() {
    // These are in histories and caches: a new version has to give the same.
    let rows = [
        (None, "my.tool", "my_tool_"),
        (None, "", "_"),
        (Some("sp ace.é"), "f x", "sp_ace____f_x_"),
        (Some("数据"), "读", "______"),
        (Some("mcp__srv"), &*"n".repeat(60), "mcp__srv__nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn_"),
    ];
    for (namespace, name, readable) in rows {
        let chosen = free(namespace, name);
        assert!(is_legal(&chosen), "{chosen}");
        let (start, hash) = chosen.split_at(chosen.len() - 8);
        assert_eq!(start, readable, "{namespace:?} {name}");
        assert!(hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{chosen}");
    }
    assert_eq!(free(None, "my.tool"), "my_tool_67701ecf");
    assert_eq!(free(Some("a"), &"n".repeat(64)), "a__nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn_96764392");
}

#[test]
fn a_taken_name_is_told_apart() {
    let taken = |taken: &[&str], tool: &ClientTool| choose_for(tool, |name| taken.contains(&name));
    let first = taken(&["a__b__c"], &tool(Some("a"), "b__c"));
    assert!(first.starts_with("a__b__c_"), "{first}");
    let again = taken(&["a__b__c", &first], &tool(Some("a"), "b__c"));
    assert!(again.starts_with("a__b__c_") && again != first, "{again}");
    assert_eq!((&*first, &*again), ("a__b__c_db335578", "a__b__c_e56be211"));
    // Each kind by itself.
    let taken = |kind, name: &str| choose_for(&ClientTool::new(kind, None, name), |taken| taken == name);
    assert_eq!(taken(ToolKind::Custom, "run"), "run_8ad1e4e3");
    assert_eq!(taken(ToolKind::ToolSearch, "tool_search"), "tool_search_38511254");
    let taken = |taken: &[&str], tool: &ClientTool| choose_for(tool, |name| taken.contains(&name));
    let other = taken(&["a__b__c"], &tool(Some("a__b"), "c"));
    assert_ne!(first, other);
}

#[test]
fn the_hash_sees_all_that_tells_tools_apart() {
    let tools = [
        ClientTool::new(ToolKind::Function, Some("a"), "b."),
        ClientTool::new(ToolKind::Custom, Some("a"), "b."),
        ClientTool::new(ToolKind::ToolSearch, Some("a"), "b."),
        ClientTool::new(ToolKind::Function, Some("a."), "b"),
        ClientTool::new(ToolKind::Function, None, "a__b."),
        ClientTool::new(ToolKind::Function, Some("a"), "b/"),
    ];
    let hashes: HashSet<_> = tools.iter().map(|tool| identity_hash(tool, 0)).collect();
    assert_eq!(hashes.len(), tools.len());
    assert_ne!(identity_hash(&tools[0], 0), identity_hash(&tools[0], 1));
}

#[test]
fn the_readable_part_is_what_stands_before_the_hash() {
    let dotted = tool(None, "my.tool");
    assert_eq!(readable_part(&dotted, &choose_for(&dotted, |_| false)), Some("my_tool"));
    assert_eq!(readable_part(&tool(None, "a_long_natural_name"), "a_long_natural_name"), None);
    assert_eq!(readable_part(&tool(None, "x"), "x"), None);
}

proptest! {
    #[test]
    fn any_name_becomes_a_legal_one(namespace in proptest::option::of(".{0,80}"), name in ".{0,80}") {
        let chosen = free(namespace.as_deref(), &name);
        prop_assert!(is_legal(&chosen), "{chosen}");
        prop_assert_eq!(&chosen, &free(namespace.as_deref(), &name));
        let taken = choose_for(&tool(namespace.as_deref(), &name), |name| name == chosen);
        prop_assert!(is_legal(&taken) && taken != chosen);
    }
}
