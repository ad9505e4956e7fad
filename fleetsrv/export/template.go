package export

// Mapping of an index. Texts are keywords, as the common schema has most of
// its fields; what is named here is otherwise.
type indexMapping struct {
	IndexPatterns []string `json:"index_patterns"`
	Priority      int      `json:"priority"`
	Template      struct {
		Mappings mappings `json:"mappings"`
	} `json:"template"`
}

type mappings struct {
	Dynamic    bool              `json:"dynamic"`
	Templates  []dynamicTemplate `json:"dynamic_templates"`
	Properties map[string]field  `json:"properties"`
}

type dynamicTemplate struct {
	Texts dynamicRule `json:"texts"`
}

type dynamicRule struct {
	Match   string `json:"match_mapping_type"`
	Mapping field  `json:"mapping"`
}

type field struct {
	Type        string           `json:"type,omitempty"`
	IgnoreAbove int              `json:"ignore_above,omitempty"`
	Properties  map[string]field `json:"properties,omitempty"`
	Fields      map[string]field `json:"fields,omitempty"`
}

func object(of map[string]field) field { return field{Properties: of} }

// mostKeyword is in characters, of up to four bytes each; a term has at most
// 32,766 bytes. Longer values are kept and not searched.
const mostKeyword = 8191

// indexTemplate is the template of the indices of one kind.
func indexTemplate(name string, dated, opensearch bool) indexMapping {
	keyword := field{Type: "keyword", IgnoreAbove: mostKeyword}
	// A command line and a message are searched by their words too.
	words := keyword
	words.Fields = map[string]field{"text": {Type: "text"}}
	number, date, ip := field{Type: "long"}, field{Type: "date"}, field{Type: "ip"}
	flat := field{Type: "flattened", IgnoreAbove: mostKeyword}
	if opensearch {
		flat = field{Type: "flat_object"}
	}
	process := func(parent map[string]field) field {
		of := map[string]field{"pid": number, "start": date, "exit_code": number, "command_line": words}
		if parent != nil {
			of["parent"] = object(parent)
		}
		return object(of)
	}
	end := object(map[string]field{"ip": ip, "port": number})
	m := mappings{Dynamic: true, Templates: []dynamicTemplate{{dynamicRule{"string", keyword}}}, Properties: map[string]field{
		"@timestamp":  date,
		"message":     words,
		"event":       object(map[string]field{"ingested": date, "severity": number}),
		"process":     process(process(nil).Properties),
		"source":      end,
		"destination": end,
		"file":        object(map[string]field{"size": number}),
		"related":     object(map[string]field{"ip": ip}),
		"edr":         object(map[string]field{"columns": flat, "count": number, "epoch": field{Type: "unsigned_long"}, "counter": field{Type: "unsigned_long"}}),
	}}
	out := indexMapping{IndexPatterns: []string{name}, Priority: 200}
	if dated {
		out.IndexPatterns = []string{name + "-*"}
	}
	out.Template.Mappings = m
	return out
}
