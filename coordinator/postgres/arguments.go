package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// arguments are the named parameters of a statement: all that it has, and no others.
type arguments map[string]any

// formsKey finds what a connection knows of statements.
const formsKey = "forms"

// form is a statement as the server takes it, and which names its numbered parameters had.
type form struct {
	text  string
	names []string
}

// RewriteQuery implements [pgx.QueryRewriter]. A connection keeps the forms of statements, whose
// number is fixed, because to read a statement takes longer than to send it.
func (a arguments) RewriteQuery(
	ctx context.Context, connection *pgx.Conn, statement string, _ []any,
) (string, []any, error) {
	data := connection.PgConn().CustomData()
	forms, ok := data[formsKey].(map[string]form)
	if !ok {
		forms = map[string]form{}
		data[formsKey] = forms
	}
	found, ok := forms[statement]
	if !ok {
		var err error
		if found, err = a.form(ctx, connection, statement); err != nil {
			return "", nil, err
		}
		forms[statement] = found
	}
	values := make([]any, 0, len(found.names))
	for _, name := range found.names {
		if value, ok := a[name]; ok {
			values = append(values, value)
		}
	}
	if len(values) != len(found.names) || len(values) != len(a) {
		return "", nil, fmt.Errorf("statement has parameters %q, not %d others",
			found.names, len(a))
	}
	return found.text, values, nil
}

// form has the names take the place of the values, to find out their order.
func (a arguments) form(
	ctx context.Context, connection *pgx.Conn, statement string,
) (form, error) {
	placeholders := pgx.StrictNamedArgs{}
	for name := range a {
		placeholders[name] = name
	}
	text, ordered, err := placeholders.RewriteQuery(ctx, connection, statement, nil)
	if err != nil {
		return form{}, fmt.Errorf("find parameters: %w", err)
	}
	names := make([]string, len(ordered))
	for i, name := range ordered {
		names[i] = fmt.Sprint(name)
	}
	return form{text, names}, nil
}
